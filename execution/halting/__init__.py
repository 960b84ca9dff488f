"""The kill switch as the order path sees it: what a scope covers, and what becomes of a halt until it is proved."""
