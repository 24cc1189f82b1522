"""What is judged: pairs, photos, frames, where their faces lie."""
