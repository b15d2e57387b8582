"""The command line: batch jobs over tables in Parquet and CSV files, see doc/guide/batch.md."""
