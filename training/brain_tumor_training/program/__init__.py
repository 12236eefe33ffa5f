"""The shipped program as a black box: how training runs it on studies and reads what it wrote."""
