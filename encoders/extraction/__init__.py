"""Feature extraction: encoding the 36 views of many viewpoints into feature stores."""
