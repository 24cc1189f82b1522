"""Aligned crop -> identity vector and feature taps."""
