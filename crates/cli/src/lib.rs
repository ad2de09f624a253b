//! The blackfriday command
