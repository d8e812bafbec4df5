//! stripe_stand_in
