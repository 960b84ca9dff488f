"""The book held against the broker's: what differs, why, what is done about it by itself and what people decide.

`arithmetic` is pure. `entering` writes orders that were never sent by us; `strangers` adopts what somebody else did,
`inference` books shares that no execution tells, `corrections` takes executions back, `cash` books what no trade moved.
`compare` looks, `breaks` remembers what was seen, `runs` does it all, one at a time; `forced` is the way around it.
"""
