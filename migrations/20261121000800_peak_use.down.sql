drop function kitloop.blocked_range(timestamptz, timestamptz, integer);
drop function kitloop.peak_use(uuid, tstzrange, timestamptz, uuid);
