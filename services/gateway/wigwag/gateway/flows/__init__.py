"""What is done with the records of each topic."""
