//! Stage 1: host, decoded segments and method lead to one immutable route.
