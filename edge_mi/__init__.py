"""EdgeMI: patterns of myocardial infarction in lead I, on the device. Research use only."""
