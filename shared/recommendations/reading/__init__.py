"""Reading what Microsoft recommends: both lists are joined and compared with what is stored."""
