drop function kitloop.reserve_gear(
    text, text, text, uuid, jsonb, boolean, uuid, uuid[], integer[], timestamptz, timestamptz, jsonb, text, bigint
);
drop function kitloop.store_answer(text, text, text, text, jsonb);
drop function kitloop.claim_idempotency_key(text, text, text, text);
drop function kitloop.take_hold(
    uuid, jsonb, boolean, uuid, uuid[], integer[], timestamptz, timestamptz, jsonb, text, bigint
);
drop function kitloop.write_hold(
    public.providers, uuid, uuid[], integer[], timestamptz, timestamptz, timestamptz, text, uuid, bigint
);
drop function kitloop.hold_refusal(
    public.providers, uuid, uuid[], integer[], timestamptz, timestamptz, timestamptz
);
drop function kitloop.short_lines(uuid[], integer[], timestamptz, timestamptz, timestamptz);
drop function kitloop.lock_customer(uuid, jsonb);
drop function kitloop.reservation_answer(public.reservations);
drop function kitloop.broken_rule(public.providers, timestamptz, timestamptz, timestamptz);
drop function kitloop.charged_days(timestamptz, timestamptz, text);
drop function kitloop.requested_lines(uuid[], integer[]);
