//! Organizations: the tenants.
