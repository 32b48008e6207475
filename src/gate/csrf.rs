//! Stage 6: ambient credentials on unsafe methods and upgrades.
