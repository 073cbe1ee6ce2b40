"""What a verification is made of: observations, how they compare, and the rules for one recommendation."""
