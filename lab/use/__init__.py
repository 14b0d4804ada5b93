"""What a user of a trained model calls: train on one's own videos, embed, classify, search, look, take away."""
