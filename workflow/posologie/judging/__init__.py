"""What judges say of open answers, and how far they agree with people."""
