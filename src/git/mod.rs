//! Reading Git.
