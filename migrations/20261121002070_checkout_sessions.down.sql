drop function kitloop.open_checkout_sessions(timestamptz, text, integer);
drop function kitloop.checkout_session_difference(jsonb);
drop function kitloop.apply_checkout_session(jsonb);
drop function kitloop.note_topup_payment(uuid, jsonb, text);
drop function kitloop.is_topup_as_asked(public.credit_topups, jsonb);
