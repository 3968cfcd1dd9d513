"""What is made from a checkout for boxes of other architectures."""
