//! Tests of the parts together. They are in `tests/suite`: `sql` is about the database alone and holds through a
//! transaction pooler as well, the rest calls functions as Lambda does.
