"""What a study is and how it is read: series on disk to FLAIR, T1 and T1c on FLAIR's grid."""
