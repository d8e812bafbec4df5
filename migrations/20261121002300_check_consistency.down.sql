drop function kitloop.readiness();
drop function kitloop.check_consistency();
drop function kitloop.authorization_without_booking();
drop function kitloop.wrong_receipts();
drop function kitloop.refunds_owed();
drop function kitloop.refund_totals();
drop function kitloop.money_without_booking();
drop function kitloop.overbooked_gear(timestamptz);
