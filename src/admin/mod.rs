//! The admin plane.
