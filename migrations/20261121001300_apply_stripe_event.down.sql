drop function kitloop.fail_stripe_event(text, text, jsonb, text);
drop function kitloop.apply_stripe_event(text, text, jsonb, jsonb);
drop function kitloop.claim_stripe_event(text, text, jsonb);
drop function kitloop.apply_fact(jsonb);
