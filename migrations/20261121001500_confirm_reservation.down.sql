drop function kitloop.confirm_reservation(uuid, boolean, uuid, text, text, text, integer);
drop function kitloop.confirmation_step(public.reservations, public.payments, boolean, boolean, text, timestamptz);
drop function kitloop.confirmation_refusal(public.reservations, boolean);
drop function kitloop.start_capture(uuid, text, integer);
drop function kitloop.confirm_offline(uuid, public.payments, timestamptz);
