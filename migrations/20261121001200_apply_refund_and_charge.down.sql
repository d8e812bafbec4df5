drop function kitloop.apply_dispute(jsonb);
drop function kitloop.is_dispute_over(text);
drop function kitloop.apply_charge(jsonb);
drop function kitloop.apply_refund(jsonb);
drop function kitloop.lock_payment_of_intent(text);
drop function kitloop.refund_rank(text);
drop function kitloop.must_go_back(public.payments);
drop function kitloop.refunded_minor(uuid);
