//! The one integration binary; a test's path mirrors the stage, door or verb it tests.

mod layers;
