"""Top floor: how work is started. Runs notebooks, keeps their libraries warm, drives the workflow; computes nothing."""
