"""What `sklstm.compression` does, one file a function."""
