//! A user namespace for those who are not root.
