"""The bare floor: the least that Django REST framework can do with an order and still store it."""
