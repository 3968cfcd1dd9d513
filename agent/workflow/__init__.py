"""What the box is for: one module for each real-world activity."""
