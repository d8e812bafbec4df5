drop function kitloop.refund_reservation(text, text, text, uuid, boolean, uuid, bigint, text, boolean);
drop function kitloop.decide_refund(uuid, boolean, uuid, bigint, text, boolean);
drop function kitloop.write_requested_refund(public.payments, bigint, text, boolean);
drop function kitloop.refund_refusal(public.payments, bigint, boolean);
drop function kitloop.lock_refunded_payment(uuid, boolean);
