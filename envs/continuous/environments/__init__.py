"""The continuous environments R2R-CE and RxR-CE and their parts."""
