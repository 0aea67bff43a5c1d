//! Kinds of objects behind descriptors, one file each.
