//! E-mail to customers and shops, by Resend: <https://resend.com/docs>.

mod mail;
mod message;
mod resend;

pub use resend::{Email, EmailError};
