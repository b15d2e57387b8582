"""How `sklstm.inspection` does it, a file each."""
