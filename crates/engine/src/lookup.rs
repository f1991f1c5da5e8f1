//! Names and IDs that users type.
