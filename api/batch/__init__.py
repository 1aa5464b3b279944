"""The night's batch: many series in chunks of up to 256, on this machine's cores or on Spark, resumed after a kill."""
