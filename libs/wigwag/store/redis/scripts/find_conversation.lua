-- KEYS[1] is a record. Answers the conversation, nil when it is not there.

return load_conversation() and answer() or nil
