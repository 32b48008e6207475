//! What is set on, and removed from, the headers that an upstream sees.
