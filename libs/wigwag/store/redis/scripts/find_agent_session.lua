-- KEYS[1] is a record. Answers the session, nil when it is not there.

return load_live_agent(KEYS[1]) and answer_of(KEYS[1]) or nil
