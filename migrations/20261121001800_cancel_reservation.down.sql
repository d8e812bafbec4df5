drop function kitloop.cancel_reservation(uuid, boolean, uuid, text, boolean);
drop function kitloop.carry_out_cancellation(uuid, public.payments, text, text, bigint);
drop function kitloop.cancellation_refusal(public.reservations, public.payments, timestamptz);
drop function kitloop.refund_percent(jsonb, timestamptz, timestamptz);
drop function kitloop.share_minor(bigint, integer, text);
drop function kitloop.currency_step(text);
