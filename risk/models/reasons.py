"""A reason is part of every act that an auditor will read about."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length

models.CharField.register_lookup(Length)
models.TextField.register_lookup(Length)

REASON_LENGTH = Q(reason__length__gte=10) & Q(reason__length__lte=500)
