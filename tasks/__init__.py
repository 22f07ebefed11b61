"""Thin Prefect tasks: tracking, slots and files around one call into the library each."""
