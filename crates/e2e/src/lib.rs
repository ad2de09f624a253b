//! Tests of the whole pipeline and of faults
