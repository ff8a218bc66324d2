"""One model, one serializer, one view."""
