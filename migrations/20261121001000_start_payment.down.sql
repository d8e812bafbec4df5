drop function kitloop.record_payment_intent(uuid, integer, text);
drop function kitloop.start_payment(uuid, boolean, uuid, integer, uuid, integer);
drop function kitloop.insert_payment(public.reservations, timestamptz);
drop function kitloop.enqueue_job(text, uuid);
drop function kitloop.payment_refusal(public.reservations, timestamptz);
drop function kitloop.role_for_reservation(uuid, uuid, boolean);
drop function kitloop.lock_current_payment(uuid);
drop function kitloop.lock_reservation(uuid, boolean);
