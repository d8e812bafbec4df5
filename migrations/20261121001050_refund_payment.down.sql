drop function kitloop.resend_refund(uuid);
drop function kitloop.failed_refunds(uuid);
drop function kitloop.shrink_unsent_refunds(uuid);
drop function kitloop.refund_payment(uuid, bigint, text, text);
drop function kitloop.insert_refund(public.payments, bigint, text, text);
drop function kitloop.credit(uuid, bigint);
drop function kitloop.owed_minor(public.payments);
drop function kitloop.refundable_minor(public.payments);
drop function kitloop.refunded_minor(uuid);
